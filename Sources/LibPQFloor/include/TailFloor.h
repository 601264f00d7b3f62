// What a C program needs from an event's INSERT to its row in another process: LISTEN, poll, SELECT over bare libpq.
#ifndef TAIL_FLOOR_H
#define TAIL_FLOOR_H

#include <stdint.h>

typedef struct {
    long count;
    /// What they took.
    double seconds;
    /// Empty, or why there were no more.
    char error[512];
} floor_tail_written;

/// One session inserts and notifies, two transactions in one pipeline: `rate` inserts a second at most, for so many seconds
/// and `capacity` of them at most, in turn over `tails` streams with ids from `first_stream` up. When the n-th began and was
/// committed is put into `started` and `acknowledged`, monotonic, in nanoseconds. One that has to wait for the one before
/// starts when it was due.
floor_tail_written floor_tail_write(
    const char *conninfo, const char *schema, long first_stream, int tails, double rate, double seconds,
    const char *event, int64_t *started, int64_t *acknowledged, long capacity);

/// One session, named for the schema, that listens, and selects what is new of the stream that was named. For a process of
/// its own: it says `ready` on standard output once it listens, is told on standard input how many were written, and then
/// says for each `event TAIL POSITION NANOSECONDS`, when it was there, and `done COUNT`. Returns an empty text, or the error;
/// valid until the next call on the thread.
const char *floor_tail_follow(const char *conninfo, const char *schema, long first_stream, int tails);

#endif
