// Package websocket is a client's end of one WebSocket connection (RFC 6455), which says
// how it ended.
//
// It uses gorilla/websocket, since that works on a connection that exists, makes no other,
// and returns the code with which the server closed.
//
// The codes 1001 (going away) and 1012 (service restart) are a goodbye: they tell a client
// to connect again elsewhere. 1006 is not sent; it stands for a connection that ended
// without a close frame (section 7.1.5). The codes 1000 and 1005 say that all is done, so
// that a client would not come back.
package websocket
