// Package wire moves frames: it takes over an HTTP request as a websocket, and reads and writes WhatsApp's frames (three
// bytes of length, then the content) on it.
//
// It is written for ten thousand idle sockets. A connection owns no buffer while it waits: the websocket header is read
// into a few bytes of the connection itself, and a frame gets memory only as its bytes arrive, so that a length without
// content costs its sender a socket and the server nothing.
//
// What clients differ in is hidden here: a frame may be split over several websocket messages or share one with others
// (whatsmeow sends one a message, Baileys buffers), and the stream may open with routing information before the
// four-byte prologue. In the other direction each frame is one whole websocket message: the pinned whatsmeow reassembles
// split frames wrongly.
package wire
