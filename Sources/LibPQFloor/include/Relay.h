// What makes a server on this machine one that is far away.
#ifndef RELAY_H
#define RELAY_H

typedef struct {
    /// To be run; the caller closes it.
    int listener;
    /// Of 127.0.0.1.
    int port;
    /// Empty, or why there is none.
    char error[512];
} relay;

relay relay_open(void);

/// Connects each that comes to `server_port` of 127.0.0.1, and hands on what either side sends `delay` seconds later, in the
/// order it came and without holding up what comes behind it. Until standard input ends. Returns an empty text, or the error.
const char *relay_run(int listener, int server_port, double delay);

#endif
