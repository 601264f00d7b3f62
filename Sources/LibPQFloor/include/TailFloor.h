// What a C program needs from an event's INSERT to its row in another session: LISTEN, poll, SELECT over bare libpq.
#ifndef TAIL_FLOOR_H
#define TAIL_FLOOR_H

typedef struct {
    double start_p50_microseconds;
    double start_p99_microseconds;
    double acknowledged_p50_microseconds;
    double acknowledged_p99_microseconds;
    /// What was reached of `rate`.
    double events_per_second;
    /// Empty, or why there are no figures.
    char error[512];
} floor_tail_figures;

/// One session inserts and notifies, two transactions in one pipeline; another listens, and selects what is new of the
/// stream that was named. `rate` inserts a second at most, for so many seconds, in turn over `tails` streams with ids from
/// `first_stream` up. An insert that has to wait for the one before starts when it was due.
floor_tail_figures floor_tail(
    const char *conninfo, const char *schema, long first_stream, int tails, double rate, double seconds,
    const char *event);

typedef struct {
    double notifies_per_second;
    double p50_microseconds;
    char error[512];
} floor_notify_figures;

/// One session notifies `channel` in transactions of their own, one after the other, while `listeners` others of ours
/// listen on it and read what comes.
floor_notify_figures floor_notify(
    const char *conninfo, const char *channel, const char *payload, int listeners, double seconds);

/// One session, named for `channel`, that listens on it and reads what comes, until standard input ends. Says `ready` on standard output
/// once it listens. Returns an empty text, or the error.
const char *floor_listen(const char *conninfo, const char *channel);

typedef struct {
    long value;
    /// Empty, or why there is none.
    char error[512];
} floor_number;

/// The integer that a query answers.
floor_number floor_integer(const char *conninfo, const char *query);

#endif
