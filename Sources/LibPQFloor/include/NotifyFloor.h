// What a NOTIFY costs while others listen, over bare libpq.
#ifndef NOTIFY_FLOOR_H
#define NOTIFY_FLOOR_H

typedef struct {
    double notifies_per_second;
    double p50_microseconds;
    char error[512];
} floor_notify_figures;

/// One session notifies `channel` in transactions of their own, one after the other, while `listeners` others of ours
/// listen on it and read what comes.
floor_notify_figures floor_notify(
    const char *conninfo, const char *channel, const char *payload, int listeners, double seconds);

/// One session, named for `channel`, that listens on it and reads what comes, until standard input ends. Says `ready` on
/// standard output once it listens. Returns an empty text, or the error.
const char *floor_listen(const char *conninfo, const char *channel);

#endif
