// What makes a server on this machine one that is far away.
#ifndef RELAY_H
#define RELAY_H

typedef struct {
    /// To be run; it is never closed.
    int listener;
    /// Of 127.0.0.1.
    int port;
    /// Empty, or why there is none.
    char error[512];
} relay;

relay relay_open(void);

/// Connects each that comes to `server_port` of 127.0.0.1, 400 at most, and hands on what either side sends `delay` seconds
/// later, however much it is, up to 4 MiB that nobody has taken. Until standard input ends. Returns an empty text, or the error.
const char *relay_run(int listener, int server_port, double delay);

#endif
