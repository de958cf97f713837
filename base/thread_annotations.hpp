// thread_annotations.hpp: what a mutex guards, said so that clang checks it (-Wthread-safety); nothing for others.
//
// GUARDED_BY(m) after a member: touched only while m is held. REQUIRES(m) after a function: the caller holds m. The
// mutex is a Mutex (base/mutex.hpp), since libstdc++'s own says nothing to clang.
#pragma once

#if defined(__clang__)
#define REGROUP_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define REGROUP_THREAD_ANNOTATION(x)
#endif

#define CAPABILITY(name) REGROUP_THREAD_ANNOTATION(capability(name))
#define SCOPED_CAPABILITY REGROUP_THREAD_ANNOTATION(scoped_lockable)
#define GUARDED_BY(mutex) REGROUP_THREAD_ANNOTATION(guarded_by(mutex))
#define REQUIRES(...) REGROUP_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) REGROUP_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) REGROUP_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) REGROUP_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) REGROUP_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
