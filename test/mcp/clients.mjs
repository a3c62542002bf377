// Asks a server with both TypeScript SDKs, in every way in which they find out which revision
// of the protocol it speaks. They check structured answers by the tools' schemas themselves.
//
//	node clients.mjs MODULES URL                 over HTTP
//	node clients.mjs MODULES -- COMMAND ARGS...  over standard input and output
//
// It prints a line for each client: its name, the revision, and what a tool has answered.
import { createRequire } from "node:module";

const [modules, ...target] = process.argv.slice(2);
const load = createRequire(modules + "/package.json");
const v2 = { ...load("@modelcontextprotocol/client"), ...load("@modelcontextprotocol/client/stdio") };
const v1 = {
  ...load("@modelcontextprotocol/sdk/client/index.js"),
  ...load("@modelcontextprotocol/sdk/client/streamableHttp.js"),
  ...load("@modelcontextprotocol/sdk/client/stdio.js"),
};

function transport(sdk) {
  if (target[0] === "--") return new sdk.StdioClientTransport({ command: target[1], args: target.slice(2) });
  return new sdk.StreamableHTTPClientTransport(new URL(target[0]));
}

const info = { name: "tests", version: "1" };
const clients = {
  "sdk 1": () => [new v1.Client(info), transport(v1)],
  "client legacy": () => [new v2.Client(info), transport(v2)],
  "client auto": () => [new v2.Client(info, { versionNegotiation: { mode: "auto" } }), transport(v2)],
  "client 2026-07-28": () => [new v2.Client(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } }), transport(v2)],
};

for (const [name, make] of Object.entries(clients)) {
  const [client, way] = make();
  let version = "";
  // Version 1 tells its transport the revision, and only that.
  const tell = way.setProtocolVersion?.bind(way);
  if (tell) way.setProtocolVersion = (v) => { version = v; tell(v); };
  await client.connect(way);
  version = client.getNegotiatedProtocolVersion?.() ?? version;
  const { tools } = await client.listTools();
  const call = (tool, args) => client.callTool({ name: tool, arguments: args });
  const list = await call("list_backends", { limit: 200 });
  const found = await call("find_backend", { signal: "metrics", namespace: "monitoring" });
  const got = await call("get_backend", { name: found.structuredContent.name, namespace: found.structuredContent.namespace });
  const explained = await call("explain_service", { namespace: got.structuredContent.namespace, name: got.structuredContent.name });
  const wrong = await call("get_backend", { name: "no such thing" });
  if (!wrong.isError || list.isError || found.isError || got.isError || explained.isError) throw new Error(name + ": " + JSON.stringify({ wrong, list, found, got, explained }));
  if (JSON.stringify(got.structuredContent) !== got.content[0].text) throw new Error(name + ": text and structure differ");
  let refused = "";
  try { await client.callTool({ name: "no_such_tool", arguments: {} }); } catch (e) { refused = String(e.code); }
  console.log(JSON.stringify({ client: name, version, tools: tools.map((t) => t.name), total: list.structuredContent.total, url: got.structuredContent.url, listed: explained.structuredContent.listed, refused }));
  await client.close();
}
