#include <libpq-fe.h>

#ifdef __linux__
#include <poll.h>
#include <signal.h>
#include <time.h>
// poll with nanoseconds (POSIX.1-2024). glibc shows it only to those who define _GNU_SOURCE, which a module cannot.
int ppoll(struct pollfd *descriptors, nfds_t count, const struct timespec *duration, const sigset_t *signals);
#endif
