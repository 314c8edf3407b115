// Stands in for glog: the logging and CHECK macros that Caffe uses, with one change of meaning.
//
// glog ends the process when a CHECK fails. In a notebook that reads "the kernel died". Here a failed CHECK throws
// caffe_compat::Error, which module.cpp turns into Python's caffe.Error.
//
// GLOG_minloglevel (0 INFO, 1 WARNING, 2 ERROR) and caffe.init_log(level) keep their meaning; the default is 1, because
// Caffe's INFO messages print every layer of every net that is built.
#ifndef PYCAFFE_COMPAT_GLOG_LOGGING_H_
#define PYCAFFE_COMPAT_GLOG_LOGGING_H_

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>  // upstream relies on glog to bring it
#include <exception>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace caffe_compat {

// What a failed CHECK throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum Severity { INFO, WARNING, ERROR, FATAL };

inline int initial_log_level() {
  const char* level = std::getenv("GLOG_minloglevel");
  return level ? std::atoi(level) : static_cast<int>(WARNING);
}

// What protobuf last complained about in this thread: it says where a file does not parse, Caffe's CHECK only that.
inline std::string& pending_detail() {
  thread_local std::string detail;
  return detail;
}

}  // namespace caffe_compat

inline int FLAGS_minloglevel = caffe_compat::initial_log_level();
inline bool FLAGS_logtostderr = true;

namespace google {
inline void InitGoogleLogging(const char*) {}
// glog's handler prints a stack trace on a crash; Python's faulthandler is the tool for that here.
inline void InstallFailureSignalHandler() {}
}  // namespace google

namespace caffe_compat {

// One message; it is printed, or thrown, when the full expression that streams into it ends.
class Message {
 public:
  Message(const char* file, int line, Severity severity) : severity_(severity) {
    if (severity == FATAL) text_ << file << ':' << line << ": ";
  }
  ~Message() noexcept(false) {
    if (severity_ == FATAL) {
      std::string& detail = pending_detail();
      if (!detail.empty()) {
        text_ << " [" << detail << ']';
        detail.clear();
      }
      // A second exception while one is under way would end the process: the first one is the one to report.
      if (std::uncaught_exceptions() == 0) throw Error(text_.str());
    }
    if (severity_ >= FLAGS_minloglevel) {
      text_ << '\n';
      std::cerr << text_.str() << std::flush;
    }
  }
  std::ostream& stream() { return text_; }

 private:
  const Severity severity_;
  std::ostringstream text_;
};

// Lower precedence than <<, higher than ?: so that a macro can be one void expression.
struct Voidify {
  void operator&(std::ostream&) {}
};

// Compares once (the operands may have side effects); on failure returns the text of the comparison.
template <class A, class B, class Compare>
std::unique_ptr<std::string> compare(const A& a, const B& b, const char* text, Compare holds) {
  if (holds(a, b)) return nullptr;
  std::ostringstream message;
  message << "Check failed: " << text << " (" << a << " vs. " << b << ") ";
  return std::unique_ptr<std::string>(new std::string(message.str()));
}

template <class T>
T not_null(const char* file, int line, const char* text, T&& pointer) {
  if (pointer == nullptr) Message(file, line, FATAL).stream() << "'" << text << "' Must be non NULL";
  return std::forward<T>(pointer);
}

inline bool every_n(std::atomic<long>& count, long n) { return count++ % n == 0; }
inline bool first_n(std::atomic<long>& count, long n) { return count.load() < n && count++ < n; }

}  // namespace caffe_compat

#define PYCAFFE_STREAM(severity) caffe_compat::Message(__FILE__, __LINE__, caffe_compat::severity).stream()
#define LOG(severity) PYCAFFE_STREAM(severity)
#define LOG_IF(severity, condition) !(condition) ? (void)0 : caffe_compat::Voidify() & LOG(severity)
// A lambda of its own at every place of use gives every place its own counter.
#define PYCAFFE_COUNTER() [&]() -> std::atomic<long>& { static std::atomic<long> n(0); return n; }()
#define LOG_EVERY_N(severity, n) LOG_IF(severity, caffe_compat::every_n(PYCAFFE_COUNTER(), n))
#define LOG_FIRST_N(severity, n) LOG_IF(severity, caffe_compat::first_n(PYCAFFE_COUNTER(), n))

#define CHECK(condition) \
  (condition) ? (void)0 : caffe_compat::Voidify() & LOG(FATAL) << "Check failed: " #condition " "
#define PYCAFFE_CHECK_OP(a, op, b)                                                                             \
  for (std::unique_ptr<std::string> failed = caffe_compat::compare(                                            \
           (a), (b), #a " " #op " " #b, [](const auto& x, const auto& y) -> bool { return x op y; });          \
       failed; failed.reset())                                                                                 \
  LOG(FATAL) << *failed
#define CHECK_EQ(a, b) PYCAFFE_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) PYCAFFE_CHECK_OP(a, !=, b)
#define CHECK_LT(a, b) PYCAFFE_CHECK_OP(a, <, b)
#define CHECK_LE(a, b) PYCAFFE_CHECK_OP(a, <=, b)
#define CHECK_GT(a, b) PYCAFFE_CHECK_OP(a, >, b)
#define CHECK_GE(a, b) PYCAFFE_CHECK_OP(a, >=, b)
#define CHECK_DOUBLE_EQ(a, b) CHECK(std::fabs((a) - (b)) < 1e-12)
#define CHECK_NOTNULL(pointer) caffe_compat::not_null(__FILE__, __LINE__, #pointer, (pointer))

#define DLOG(severity) true ? (void)0 : caffe_compat::Voidify() & LOG(severity)
// glog compiles these out of a release build. They are few, cheap, and keep a bad label from reading past an array.
#define DCHECK(condition) CHECK(condition)
#define DCHECK_EQ(a, b) CHECK_EQ(a, b)
#define DCHECK_LT(a, b) CHECK_LT(a, b)
#define DCHECK_GE(a, b) CHECK_GE(a, b)

#endif  // PYCAFFE_COMPAT_GLOG_LOGGING_H_
