// Tells Thread Sanitizer what Swift's Mutex does where threads meet. Scripts/tsan preloads it; nothing else uses it.
//
// On Linux the lock is a futex. Where nobody waits it is taken and given by an atomic in our own code, which the sanitizer
// sees. Where somebody does, that happens inside libswiftSynchronization, which is not instrumented: without a word from
// here, whatever a contended Mutex guards is reported as a race.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define CONTEXT __attribute__((swift_context))

// Of the sanitizer's runtime, in the program.
extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

typedef SWIFT void Locking(uint32_t thread, CONTEXT void *mutex);
typedef SWIFT _Bool TryingToLock(CONTEXT void *mutex);
typedef SWIFT void Unlocking(CONTEXT void *mutex);

static const char lock_name[] = "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF";
static const char try_lock_name[] = "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF";
static const char unlock_name[] = "$s15Synchronization12_MutexHandleV11_unlockSlowyyF";

// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
SWIFT void lock_slow(uint32_t thread, CONTEXT void *mutex) __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
SWIFT void lock_slow(uint32_t thread, CONTEXT void *mutex) {
    ((Locking *)dlsym(RTLD_NEXT, lock_name))(thread, mutex);
    __tsan_acquire(mutex);
}

// Synchronization._MutexHandle._tryLockSlow() -> Swift.Bool
SWIFT _Bool try_lock_slow(CONTEXT void *mutex) __asm__("$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF");
SWIFT _Bool try_lock_slow(CONTEXT void *mutex) {
    _Bool locked = ((TryingToLock *)dlsym(RTLD_NEXT, try_lock_name))(mutex);
    if (locked) __tsan_acquire(mutex);
    return locked;
}

// Synchronization._MutexHandle._unlockSlow() -> ()
SWIFT void unlock_slow(CONTEXT void *mutex) __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
SWIFT void unlock_slow(CONTEXT void *mutex) {
    __tsan_release(mutex);
    ((Unlocking *)dlsym(RTLD_NEXT, unlock_name))(mutex);
}
