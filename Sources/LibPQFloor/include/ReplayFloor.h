// What a C program does to read rows with libpq and nothing else: the floor that `durable-streams bench replay` holds the
// replay index against.
#ifndef REPLAY_FLOOR_H
#define REPLAY_FLOOR_H

typedef struct {
    double seconds;
    long rows;
    /// The size of the values, with what COPY puts between them.
    long bytes;
    /// Empty, or why there are no figures.
    char error[512];
} floor_reading;

/// Runs `copy (query) to stdout (format binary)` and looks at nothing that comes.
floor_reading floor_copy(const char *conninfo, const char *query);

/// Runs the query in single-row mode with binary results and looks at nothing but the lengths.
floor_reading floor_single_rows(const char *conninfo, const char *query);

#endif
