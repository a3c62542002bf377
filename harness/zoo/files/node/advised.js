// The same with our advice: after SIGTERM, readiness fails and each response says
// Connection: close, and only after a while the server is closed.
const http = require('node:http');

let draining = false;

const server = http.createServer((req, res) => {
  if (draining) res.setHeader('Connection', 'close');
  res.statusCode = draining && req.url === '/ready' ? 503 : 200;
  res.setHeader('Content-Type', 'text/plain');
  res.end('Hello, World!\n');
});

server.listen(3000, '0.0.0.0');

process.on('SIGTERM', () => {
  draining = true;
  setTimeout(() => server.close(() => process.exit(0)), 6000);
});
