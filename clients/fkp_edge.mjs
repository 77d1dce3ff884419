// fkp-edge, stream version 1, in one file without dependencies, for browsers and Node.js.
//
//     import { connect } from "./fkp_edge.mjs";
//     for await (const message of connect("ws://127.0.0.1:8766"))
//         if (message.type === "observation" && message.faces.length) console.log(message.faces[0].points[10]);
//
// Browsers read ws:// and wss://, Node.js tcp:// and unix:// too. It connects again by itself. Clocks are nanoseconds;
// numbers beyond 2^53 lose their last digits, as everywhere in JavaScript.

const MAX_LINE_BYTES = 65536;
const STATES = ["searching", "tracking", "held", "no_camera"];
const MEASURES = ["eye_open_left", "eye_open_right", "mouth_open", "mouth_wide", "smile", "brow_raise_left", "brow_raise_right"];
const TYPES = ["hello", "observation", "pong", "error"];

/** What came is no message of fkp-edge, is of another version, or says that this client is refused: no other try. */
export class ProtocolError extends Error {}

/** The message in a line of the server. */
export function decodeLine(line) {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    throw new ProtocolError(`${JSON.stringify(line.slice(0, 60))} is not JSON`);
  }
  if (message === null || !TYPES.includes(message.type))
    throw new ProtocolError(`type ${JSON.stringify(message?.type)} is not known; expected ${TYPES.join(", ")}`);
  if (message.type === "hello" && message.protocol !== 1)
    throw new ProtocolError(`the stream speaks protocol version ${message.protocol} and this file speaks 1`);
  return message;
}

/** The message in a datagram (Uint8Array, or a Buffer of Node.js). */
export function decodeDatagram(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(0, 4)) !== "FKPE")
    throw new ProtocolError("a datagram is not of fkp-edge");
  if (bytes[4] !== 1) throw new ProtocolError(`a datagram has version ${bytes[4]} and this file speaks 1`);
  if (data.getUint16(6, true) !== bytes.length) throw new ProtocolError("a datagram was cut");
  if (bytes[5] === 0) return decodeLine(new TextDecoder().decode(bytes.subarray(8)));
  if (bytes[5] !== 1 || bytes.length < 44 || bytes[36] >= STATES.length)
    throw new ProtocolError("a datagram is no observation");
  const faces = bytes[37], faceBytes = data.getUint16(38, true), points = data.getUint16(40, true);
  if (faces && (faceBytes < 36 + 8 * points || bytes.length < 44 + faces * faceBytes))
    throw new ProtocolError("a datagram is shorter than its faces");
  const whole = (at) => Number(data.getBigUint64(at, true));
  return {
    type: "observation",
    sequence: whole(8),
    captured_ns: whole(16),
    sent_ns: whole(24),
    state: STATES[bytes[36]],
    dropped: data.getUint32(32, true),
    faces: Array.from({ length: faces }, (_, i) => decodeFace(data, 44 + i * faceBytes, points, faceBytes)),
  };
}

function decodeFace(data, start, points, size) {
  const round = (value, steps) => Math.round(value * steps) / steps;
  const float = (at, steps = 100) => round(data.getFloat32(start + at, true), steps);
  const face = {
    id: data.getUint32(start, true),
    score: float(4, 1000),
    box: [8, 12, 16, 20].map((at) => float(at)),
    points: Array.from({ length: points }, (_, i) => [float(36 + 8 * i), float(40 + 8 * i)]),
  };
  if (![face.score, ...face.box, ...face.points.flat()].every(Number.isFinite))
    throw new ProtocolError("a datagram has coordinates that are not finite");
  const end = 40 + 8 * points;
  const flags = size >= end ? data.getUint32(start + end - 4, true) : 0;
  if (flags & 1) face.held = true;
  const [yaw, pitch, roll] = [24, 28, 32].map((at) => float(at, 10));
  if (Number.isFinite(yaw + pitch + roll)) face.pose = { yaw, pitch, roll };
  if (flags & 2 && size >= end + 60) face.measures = decodeMeasures(data, start + end, (at) => float(end + at, 1000));
  const [x, y, z] = flags & 4 && size >= end + 60 ? [48, 52, 56].map((at) => float(end + at)) : [];
  if (Number.isFinite(x + y + z)) face.position = { x, y, z };
  return face;
}

function decodeMeasures(data, start, float) {
  const measures = {};
  MEASURES.forEach((name, i) => Number.isFinite(float(4 * i)) && (measures[name] = float(4 * i)));
  const blinks = data.getUint32(start + 28, true);
  if (blinks !== 0xffffffff) measures.blinks = blinks;
  const blink = [32, 40].map((at) => Number(data.getBigUint64(start + at, true)));
  if (blink[1]) measures.blink = blink;
  return measures;
}

/**
 * Messages of the stream at `url`: a hello at each connection, then observations, of which a slow loop gets the newest.
 * Ends when its loop is left. `token` is what the device's --token-file holds; `reconnect: false` ends with the stream.
 * `onRetry(reason, pauseMs)` is called before each pause: where nobody listens, the loop waits and says nothing itself.
 */
export async function* connect(url, { token, reconnect = true, timeoutMs = 5000, onRetry = () => {} } = {}) {
  for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, 2000)) {
    const inbox = new Inbox();
    const close = await (/^wss?:/.test(url) ? openWebSocket : openSocket)(url, token, inbox);
    try {
      for (;;) {
        const line = await inbox.next(timeoutMs);
        if (line === null) break;
        const message = decodeLine(line);
        if (message.type === "error") throw new ProtocolError(`${url} refused this client: ${message.text}`);
        pauseMs = 100;
        yield message;
      }
    } finally {
      close();
    }
    if (!reconnect) return;
    onRetry(inbox.reason ?? `nothing came from ${url} for ${timeoutMs} ms`, pauseMs);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Keeps what must not be lost (hello, pong, error) and of the observations the newest. */
class Inbox {
  #lines = [];
  #ended = false;
  #wake = () => {};

  put(line) {
    const last = this.#lines.length - 1;
    const isObservation = (text) => text.includes('"type":"observation"');
    if (last >= 0 && isObservation(line) && isObservation(this.#lines[last])) this.#lines[last] = line;
    else if (last < 100) this.#lines.push(line);
    this.#wake();
  }

  /** Why it ended; null while it goes on. */
  reason = null;

  end(reason) {
    this.#ended = true;
    this.reason ??= reason;
    this.#wake();
  }

  /** The next line; null at the end, or where nothing comes in time. */
  async next(timeoutMs) {
    if (!this.#lines.length && !this.#ended) {
      let timer;
      await new Promise((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, timeoutMs);
      });
      clearTimeout(timer);
    }
    return this.#lines.shift() ?? null;
  }
}

async function openWebSocket(url, token, inbox) {
  if (typeof WebSocket === "undefined")
    throw new ProtocolError(`${url} needs a WebSocket; expected Node.js 22 or later: connect to tcp:// with this one`);
  const socket = new WebSocket(token ? `${url}${url.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}` : url);
  socket.onmessage = (event) => inbox.put(event.data);
  let opened = false;
  let ended = false;
  socket.onopen = () => (opened = true);
  socket.onerror = socket.onclose = async () => {
    if (ended) return; // browsers say both, some of Node.js only the first
    ended = true;
    const refusal = opened ? null : await refusalOf(socket.url);
    if (refusal) inbox.put(JSON.stringify({ type: "error", text: refusal }));
    inbox.end(opened ? `${url} ended the stream` : `cannot connect to ${url}`);
  };
  return () => socket.close();
}

/** Why the server turned a WebSocket away, such as for want of a token, which WebSockets do not tell; or null. */
async function refusalOf(url) {
  try {
    const answer = await fetch(url.replace(/^ws/, "http"));
    return answer.status === 401 || answer.status === 403 ? (await answer.text()).trim() : null;
  } catch {
    return null; // nobody listens there
  }
}

async function openSocket(url, token, inbox) {
  const net = await import("node:net");
  const [, host, port] = /^tcp:\/\/\[?([^\]]+?)\]?:(\d+)$/.exec(url) ?? [];
  const path = /^unix:\/\/(.+)$/.exec(url)?.[1];
  if (!host && !path) throw new ProtocolError(`${url} is not understood; expected tcp://, unix://, ws:// or wss://`);
  const socket = path ? net.connect(path) : net.connect(Number(port), host);
  const decoder = new TextDecoder();
  let text = "";
  // an empty one, too: a server that asks for a token then says so at once
  socket.write(JSON.stringify({ type: "auth", token: token ?? "" }) + "\n");
  socket.on("data", (chunk) => {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop();
    lines.forEach((line) => inbox.put(line));
    if (text.length > MAX_LINE_BYTES) socket.destroy();
  });
  socket.on("error", (error) => inbox.end(`cannot reach ${url}: ${error.code ?? error.message}`));
  socket.on("close", () => inbox.end(`${url} ended the stream`));
  return () => socket.destroy();
}
