// thread_annotations.hpp: what a mutex guards, said so that clang checks it (-Wthread-safety); nothing for others.
//
// REGROUP_GUARDED_BY(m) after a member: touched only while m is held. REGROUP_REQUIRES(m) after a function: the caller
// holds m. REGROUP_NO_THREAD_SAFETY_ANALYSIS: clang leaves this function out (OneWriter's, base/guarded.hpp). The
// mutex is a Mutex (base/mutex.hpp), since libstdc++'s own says nothing to clang.
//
// The names begin with REGROUP_ because abseil, which gRPC brings, takes the short ones.
#pragma once

#if defined(__clang__)
#define REGROUP_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define REGROUP_THREAD_ANNOTATION(x)
#endif

#define REGROUP_CAPABILITY(name) REGROUP_THREAD_ANNOTATION(capability(name))
#define REGROUP_SCOPED_CAPABILITY REGROUP_THREAD_ANNOTATION(scoped_lockable)
#define REGROUP_GUARDED_BY(mutex) REGROUP_THREAD_ANNOTATION(guarded_by(mutex))
#define REGROUP_REQUIRES(...) REGROUP_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define REGROUP_ACQUIRE(...) REGROUP_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define REGROUP_RELEASE(...) REGROUP_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define REGROUP_NO_THREAD_SAFETY_ANALYSIS REGROUP_THREAD_ANNOTATION(no_thread_safety_analysis)
#define REGROUP_TRY_ACQUIRE(...) REGROUP_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
