// Stands in for Boost.Thread: the parts that Caffe uses, on the standard library, so that nothing of Boost is linked.
//
// Caffe's data layers read ahead in a thread, which is stopped by an interruption while it waits at a queue.
#ifndef PYCAFFE_COMPAT_BOOST_THREAD_HPP_
#define PYCAFFE_COMPAT_BOOST_THREAD_HPP_

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace boost {

// What a waiting thread throws when it is interrupted.
struct thread_interrupted {};

namespace detail {
// The flag of the thread that runs this; null in threads that boost::thread did not start.
inline std::shared_ptr<std::atomic<bool>>& interruption() {
  thread_local std::shared_ptr<std::atomic<bool>> asked;
  return asked;
}
}  // namespace detail

class thread {
 public:
  template <class Function, class... Arguments>
  explicit thread(Function&& function, Arguments&&... arguments)
      : asked_(std::make_shared<std::atomic<bool>>(false)),
        thread_(
            [asked = asked_](auto&& run, auto&&... with) {
              detail::interruption() = asked;
              try {
                std::invoke(std::forward<decltype(run)>(run), std::forward<decltype(with)>(with)...);
              } catch (const thread_interrupted&) {
              }
            },
            std::forward<Function>(function), std::forward<Arguments>(arguments)...) {}
  // As Boost's: the thread goes on by itself.
  ~thread() {
    if (thread_.joinable()) thread_.detach();
  }

  bool joinable() const { return thread_.joinable(); }
  void join() { thread_.join(); }
  void interrupt() { *asked_ = true; }
  bool interruption_requested() const { return *asked_; }

 private:
  std::shared_ptr<std::atomic<bool>> asked_;
  std::thread thread_;
};

class mutex : public std::mutex {
 public:
  using scoped_lock = std::unique_lock<std::mutex>;
};

class condition_variable {
 public:
  void notify_one() { condition_.notify_one(); }

  // Returns when notified, or sooner: those who wait test what they wait for, again and again. A tenth of a second at a time,
  // because an interruption sets a flag and wakes nobody.
  void wait(std::unique_lock<std::mutex>& lock) {
    condition_.wait_for(lock, std::chrono::milliseconds(100));
    const std::shared_ptr<std::atomic<bool>>& asked = detail::interruption();
    if (asked && asked->exchange(false)) throw thread_interrupted();
  }

 private:
  std::condition_variable condition_;
};

// A pointer that each thread has for itself; what it points to is deleted when the thread ends.
template <class T>
class thread_specific_ptr {
 public:
  thread_specific_ptr() { pthread_key_create(&key_, [](void* value) { delete static_cast<T*>(value); }); }
  T* get() const { return static_cast<T*>(pthread_getspecific(key_)); }
  void reset(T* value) {
    delete get();
    pthread_setspecific(key_, value);
  }

 private:
  pthread_key_t key_;
};

// For upstream's tests, whose durations are Boost's.
namespace this_thread {
template <class Duration>
void sleep(const Duration& duration) {
  std::this_thread::sleep_for(std::chrono::microseconds(duration.total_microseconds()));
}
}  // namespace this_thread

}  // namespace boost

#endif  // PYCAFFE_COMPAT_BOOST_THREAD_HPP_
