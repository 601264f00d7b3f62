// How a floor is given up that is being measured.
#ifndef FLOOR_STOP_H
#define FLOOR_STOP_H

/// From now on, and for good, every function of `LibPQFloor` ends soon; what it answers then means nothing. Any thread may
/// call it.
void floor_stop(void);

#endif
