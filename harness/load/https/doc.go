// Package https puts TLS below the load generator's own HTTP/1.1 and HTTP/2, without
// losing what it must know about a connection: whether the server's end had arrived
// before a request was sent, and how it ended.
//
// Package crypto/tls does the cryptography. Two things it can't tell are added:
//
//   - Whether the server has closed. On a plain socket one look at the next byte tells.
//     With TLS that byte is encrypted, and may be a session ticket or the alert
//     close_notify. So [Conn.HasClosed] lets crypto/tls read what has arrived, and only
//     that.
//   - Whether the end was announced. crypto/tls returns io.EOF for a FIN without
//     close_notify, too. A response that only the end of the connection delimits may have
//     been cut short then (RFC 9112, section 9.8). [Conn.Read] returns
//     [ErrNoCloseNotify].
package https
