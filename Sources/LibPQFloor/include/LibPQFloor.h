// What a C program does with libpq and nothing else: the floor that `durable-streams bench` holds the journal against.
//
// It knows no journal: it inserts into the events table directly, keeping no rule but the keys, so that what it shows is
// the price of the server and the wire alone.
#ifndef LIBPQ_FLOOR_H
#define LIBPQ_FLOOR_H

#include "FloorStop.h"
#include "NotifyFloor.h"
#include "TailFloor.h"
#include "ReplayFloor.h"
#include "Relay.h"

typedef struct {
    double events_per_second;
    double p50_microseconds;
    double p99_microseconds;
    /// Empty, or why there are no figures.
    char error[512];
} floor_figures;

/// `writers` threads, a connection each, one INSERT per commit; counted once all are connected. `rate` inserts a second of
/// all together, at random times; 0: each as soon as the writer's last is answered. One that has to wait for that starts when
/// it was due. Stream ids are `first_stream`, `first_stream + 1`, …; they need no row in `streams`, and should be none of the
/// journal's.
floor_figures floor_insert(
    const char *conninfo, const char *schema, long first_stream, int writers, double rate, double seconds,
    const char *event);

/// One connection, one INSERT of `batch` events per commit, spread over `batch` streams or, where `one_stream`, in one.
floor_figures floor_insert_batches(
    const char *conninfo, const char *schema, long first_stream, int batch, int one_stream, double seconds,
    const char *event);

/// Runs statements that answer nothing. Returns an empty text, or the error; valid until the next call on the thread.
const char *floor_execute(const char *conninfo, const char *sql);

/// What a connection string says of `options`, decoded; empty where it says nothing. Valid until the next call on the
/// thread.
const char *floor_options(const char *conninfo);

typedef struct {
    long value;
    /// Empty, or why there is none.
    char error[512];
} floor_number;

/// The integer that a query answers.
floor_number floor_integer(const char *conninfo, const char *query);

#endif
