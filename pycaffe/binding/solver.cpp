// caffe.Solver and its kinds.

#include <nanobind/stl/string.h>

#include "caffe/sgd_solvers.hpp"
#include "holders.hpp"

namespace binding {
namespace {

// One type for each of Caffe's solvers: Python's classes must differ.
template <template <class> class Kind, class Base>
struct KindHolder : Base {};

using SgdHolder = KindHolder<caffe::SGDSolver, SolverHolder>;

// Calls two functions of Python. The solver keeps it for good: it has no way to give one back.
class SolverCallback : public Solver::Callback {
 public:
  SolverCallback(nb::object on_start, nb::object on_gradients_ready)
      : on_start_(std::move(on_start)), on_gradients_ready_(std::move(on_gradients_ready)) {}

 protected:
  void on_start() override {
    nb::gil_scoped_acquire lock;
    on_start_();
  }
  void on_gradients_ready() override {
    nb::gil_scoped_acquire lock;
    on_gradients_ready_();
  }

 private:
  nb::object on_start_, on_gradients_ready_;
};

void solve(SolverHolder& self, nb::object resume) {
  const std::string path = resume.is_none() ? "" : path_of(resume);
  nb::gil_scoped_release unlocked;
  self.solver->Solve(path.empty() ? nullptr : path.c_str());
}

template <template <class> class Kind, class Base = SgdHolder>
nb::class_<KindHolder<Kind, Base>, Base> bind_kind(nb::module_& module, const char* name) {
  using Holder = KindHolder<Kind, Base>;
  return nb::class_<Holder, Base>(module, name).def("__init__", [](Holder* self, nb::object path) {
    const std::string definition = path_of(path);
    new (self) Holder();
    nb::gil_scoped_release unlocked;
    self->solver.reset(new Kind<Number>(definition));
  });
}

// The solver as an object of its own kind, or null if it is of another.
template <template <class> class Kind, class Base = SgdHolder>
nb::object as_kind(const boost::shared_ptr<Solver>& solver) {
  if (!dynamic_cast<Kind<Number>*>(solver.get())) return nb::object();
  KindHolder<Kind, Base> holder;
  holder.solver = solver;
  return nb::cast(std::move(holder));
}

nb::object get_solver(nb::object path) {
  caffe::SolverParameter parameter;
  caffe::ReadSolverParamsFromTextFileOrDie(path_of(path), &parameter);
  boost::shared_ptr<Solver> solver(caffe::SolverRegistry<Number>::CreateSolver(parameter));
  // The general kind, which all others are as well, comes last.
  using AsKind = nb::object (*)(const boost::shared_ptr<Solver>&);
  const AsKind kinds[] = {as_kind<caffe::NesterovSolver>, as_kind<caffe::AdaGradSolver>, as_kind<caffe::RMSPropSolver>,
                          as_kind<caffe::AdaDeltaSolver>, as_kind<caffe::AdamSolver>,
                          as_kind<caffe::SGDSolver, SolverHolder>};
  for (AsKind convert : kinds) {
    if (nb::object object = convert(solver); object.is_valid()) return object;
  }
  return nb::cast(SolverHolder{solver});
}

}  // namespace

void bind_solver(nb::module_& module) {
  using namespace nb::literals;
  using caffe::SolverParameter;
  nb::class_<SolverParameter>(module, "SolverParameter")
      .def_prop_ro("max_iter", [](const SolverParameter& self) { return self.max_iter(); })
      .def_prop_ro("display", [](const SolverParameter& self) { return self.display(); })
      .def_prop_ro("layer_wise_reduce", [](const SolverParameter& self) { return self.layer_wise_reduce(); })
      .def_prop_rw("base_lr", [](const SolverParameter& self) { return self.base_lr(); },
                   [](SolverParameter& self, float rate) { self.set_base_lr(rate); });

  nb::class_<SolverHolder>(module, "Solver", nb::dynamic_attr(), nb::is_weak_referenceable())
      .def_prop_ro("net", [](const SolverHolder& self) { return NetHolder{self.solver->net(), {}}; })
      .def_prop_ro("test_nets",
                   [](const SolverHolder& self) {
                     return list_of(self.solver->test_nets(), [](const auto& net) { return NetHolder{net, {}}; });
                   })
      .def_prop_ro("iter", [](const SolverHolder& self) { return self.solver->iter(); })
      .def_prop_ro("param",
                   [](const SolverHolder& self) {
                     return const_cast<SolverParameter*>(&self.solver->param());
                   },
                   nb::rv_policy::reference_internal)
      .def("add_callback",
           [](SolverHolder& self, nb::object on_start, nb::object on_gradients_ready) {
             self.solver->add_callback(new SolverCallback(on_start, on_gradients_ready));
           })
      .def("solve", &solve, "resume_file"_a = nb::none())
      .def("step", [](SolverHolder& self, int iterations) { self.solver->Step(iterations); }, Unlocked())
      .def("restore", [](SolverHolder& self, nb::object path) { self.solver->Restore(path_of(path).c_str()); })
      .def("snapshot", [](SolverHolder& self) { self.solver->Snapshot(); })
      .def("share_weights",
           [](SolverHolder& self, NetHolder& net) { net.net->ShareTrainedLayersWith(self.solver->net().get()); })
      .def("apply_update", [](SolverHolder& self) { self.solver->ApplyUpdate(); });

  bind_kind<caffe::SGDSolver, SolverHolder>(module, "SGDSolver").def_prop_ro("lr", [](const SgdHolder& self) {
    return static_cast<caffe::SGDSolver<Number>&>(*self.solver).GetLearningRate();
  });
  bind_kind<caffe::NesterovSolver>(module, "NesterovSolver");
  bind_kind<caffe::AdaGradSolver>(module, "AdaGradSolver");
  bind_kind<caffe::RMSPropSolver>(module, "RMSPropSolver");
  bind_kind<caffe::AdaDeltaSolver>(module, "AdaDeltaSolver");
  bind_kind<caffe::AdamSolver>(module, "AdamSolver");
  module.def("get_solver", &get_solver);
}

}  // namespace binding
