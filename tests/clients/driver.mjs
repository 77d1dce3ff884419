// Reads `line TEXT` and `datagram HEX` from stdin, writes what the JavaScript client made of each as one line of JSON.
import { createInterface } from "node:readline";
import { decodeDatagram, decodeLine, ProtocolError } from "../../clients/fkp_edge.mjs";

for await (const input of createInterface({ input: process.stdin })) {
  try {
    const [, kind, rest] = /^(\w+) (.*)$/s.exec(input);
    console.log(JSON.stringify(kind === "line" ? decodeLine(rest) : decodeDatagram(Buffer.from(rest, "hex"))));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    console.log(JSON.stringify({ refused: error.message }));
  }
}
