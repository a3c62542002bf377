# The example with our advice. The pod's preStop hook asks for /drain: from then on
# readiness fails, and each response says Connection: close. The hook's own response
# comes once the endpoints are gone everywhere, and SIGTERM follows.
import asyncio

draining = False


async def app(scope, receive, send):
    global draining
    assert scope['type'] == 'http'
    status = 200
    if scope['path'] == '/drain':
        draining = True
        await asyncio.sleep(6)
    elif scope['path'] == '/ready' and draining:
        status = 503
    headers = [(b'content-type', b'text/plain')]
    if draining:
        headers.append((b'connection', b'close'))
    await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': b'Hello, world!'})
