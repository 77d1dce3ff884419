// The live page. A binary message is one frame: the length of its observation (32 bits, little-endian), the observation,
// and the JPEG of the same frame where the preview is on. So points never lie on another frame than their own.
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const withToken = (path) => (token ? `${path}?token=${encodeURIComponent(token)}` : path);
const KEPT = 200; // frames of the chart
const MEASURES = { eye_open_left: 2, eye_open_right: 2, mouth_open: 1, mouth_wide: 1.5, smile: 1, brow_raise_left: 2, brow_raise_right: 2 }; // and where their bars end
const LONGEST_SIDE = 1600; // of a photograph that is sent

const shown = { hello: null, page: { edges: [], preview: false, predict: false }, off: new Set() };
const frames = []; // { received_ms, sent_ms, shown_ms } of the newest frames
let clock = null; // { offset_ms, trip_ms }: the device's clock minus performance.now()
let busy = false;
let waiting = null;
let dropped = 0;
let sequence = -1;

function connect() {
  const url = new URL(withToken("live"), location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const ping = () => socket.readyState === 1 && socket.send(JSON.stringify({ type: "ping", client_ns: Math.round(performance.now() * 1e6) }));
  const pinging = setInterval(ping, 2000);
  socket.onopen = () => ((clock = null), ping());
  socket.onmessage = (event) => (typeof event.data === "string" ? onText(JSON.parse(event.data)) : onFrame(event.data));
  socket.onclose = () => {
    clearInterval(pinging);
    showState("lost", "connection lost");
    setTimeout(connect, 1000);
  };
}

function onText(message) {
  if (message.type === "hello") introduce(message);
  else if (message.type === "page") arrange(message);
  else if (message.type === "pong") setClock(message);
  else if (message.type === "error") $("note").textContent = message.text;
}

function introduce(hello) {
  shown.hello = hello;
  $("source").textContent = `model ${hello.model} (${hello.model_sha256.slice(0, 8)}), ${hello.points.length} points, from ${hello.source}`;
  $("toggles").replaceChildren(
    ...hello.points.map((name, i) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !shown.off.has(i) });
      box.onchange = () => (box.checked ? shown.off.delete(i) : shown.off.add(i));
      label.append(box, ` ${name}`);
      return label;
    }),
  );
}

function arrange(page) {
  shown.page = page;
  $("note").hidden = page.preview;
  $("note").textContent = "The picture is off: it shows people. Start with --preview to see it here.";
  $("drop").hidden = !page.predict;
}

function setClock(pong) {
  const now = performance.now();
  const sent = pong.client_ns / 1e6;
  const trip_ms = now - sent;
  if (clock && trip_ms > clock.trip_ms * 1.5 + 1) return; // a slow answer tells less
  clock = { offset_ms: pong.server_ns / 1e6 - (sent + now) / 2, trip_ms };
}

function showState(state, text) {
  $("state").className = `state ${state}`;
  $("state").textContent = text ?? state.replace("_", " ");
}

async function onFrame(buffer) {
  waiting = buffer; // what comes while a picture is decoded replaces what waits
  if (busy) return;
  busy = true;
  while (waiting) {
    const next = waiting;
    waiting = null;
    try {
      await showFrame(next);
    } catch (error) {
      console.error(error);
    }
  }
  busy = false;
}

async function showFrame(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const observation = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const jpeg = buffer.byteLength > 4 + size ? new Blob([new Uint8Array(buffer, 4 + size)], { type: "image/jpeg" }) : null;
  const picture = jpeg && (await createImageBitmap(jpeg));
  const view = $("view");
  const [width, height] = picture ? [picture.width, picture.height] : (shown.hello?.frame_size ?? [640, 480]);
  if (view.width !== width || view.height !== height) Object.assign(view, { width, height });
  const context = view.getContext("2d");
  context.clearRect(0, 0, width, height);
  if (picture) context.drawImage(picture, 0, 0);
  picture?.close();
  const covered = picture && shown.page.effect; // points would lie on top of the glasses
  for (const face of covered ? [] : observation.faces) drawFace(context, face, face.held || observation.state === "held");
  if (observation.sequence !== sequence) count(observation);
  sequence = observation.sequence;
  showState(observation.state);
  $("faces").textContent = observation.faces.length;
  showMeasures(observation.faces[0]);
  $("score").textContent = observation.faces.length ? observation.faces[0].score.toFixed(2) : "–";
}

function showMeasures(face) {
  $("measured").hidden = !face?.measures;
  if ($("measured").hidden) return;
  const { measures, position, pose } = face;
  $("bars").replaceChildren(
    ...Object.entries(MEASURES).filter(([name]) => name in measures).map(([name, max]) => {
      const bar = Object.assign(document.createElement("meter"), { min: 0, max, value: measures[name], id: name });
      const label = document.createElement("label");
      label.append(name.replaceAll("_", " "), bar, measures[name].toFixed(2));
      return label;
    }),
  );
  const place = position ? `${Math.round(position.x)} right, ${Math.round(position.y)} down, ${Math.round(position.z)} cm away` : "place not known";
  $("place").textContent = "blinks" in measures ? `${place}; ${measures.blinks} blinks` : place;
  drawAxes(pose);
}

// The head's axes as the camera sees them: red to its left, green down, blue where its nose points.
function drawAxes(pose) {
  const canvas = $("axes");
  const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
  Object.assign(canvas, { width: side, height: side });
  if (!pose) return;
  const [yaw, pitch, roll] = [pose.yaw, pose.pitch, pose.roll].map((angle) => (angle * Math.PI) / 180);
  const turn = ([x, y, z]) => {
    [x, y] = [Math.cos(roll) * x - Math.sin(roll) * y, Math.sin(roll) * x + Math.cos(roll) * y];
    [y, z] = [Math.cos(pitch) * y + Math.sin(pitch) * z, -Math.sin(pitch) * y + Math.cos(pitch) * z];
    return [Math.cos(yaw) * x - Math.sin(yaw) * z, y];
  };
  const context = canvas.getContext("2d");
  context.lineWidth = side / 25;
  context.lineCap = "round";
  for (const [axis, color] of [[[1, 0, 0], "#ff5a5a"], [[0, 1, 0], "#5ac85a"], [[0, 0, -1], "#5aa9e6"]]) {
    const [x, y] = turn(axis);
    context.strokeStyle = color;
    context.beginPath();
    context.moveTo(side / 2, side / 2);
    context.lineTo(side / 2 + x * side * 0.4, side / 2 + y * side * 0.4);
    context.stroke();
  }
}

function count(observation) {
  const now = performance.now();
  const shown_ms = clock ? now + clock.offset_ms - observation.captured_ns / 1e6 : NaN;
  const sent_ms = (observation.sent_ns - observation.captured_ns) / 1e6;
  frames.push({ received_ms: now, sent_ms, shown_ms });
  if (frames.length > KEPT) frames.shift();
  dropped += observation.dropped;
}

function drawFace(context, face, held) {
  const radius = Math.max(1.5, context.canvas.width / 260);
  const visible = (i) => !shown.off.has(i) && face.points[i];
  context.globalAlpha = held ? 0.5 : 1;
  context.lineWidth = radius / 2;
  context.strokeStyle = "#3ca0c8";
  context.strokeRect(...face.box);
  context.strokeStyle = "#5ac85a";
  for (const [from, to] of shown.page.edges) {
    if (!visible(from) || !visible(to)) continue;
    context.beginPath();
    context.moveTo(face.points[from][0] + 0.5, face.points[from][1] + 0.5); // integers are pixel centres
    context.lineTo(face.points[to][0] + 0.5, face.points[to][1] + 0.5);
    context.stroke();
  }
  context.fillStyle = "#ff3c3c";
  face.points.forEach(([x, y], i) => {
    if (!visible(i)) return;
    context.beginPath();
    context.arc(x + 0.5, y + 0.5, radius, 0, 7);
    context.fill();
  });
  context.globalAlpha = 1;
}

function drawChart() {
  const canvas = $("chart");
  const context = canvas.getContext("2d");
  const plausible = (value) => value >= 0 && value < 5000; // a recording's frames carry no time of this clock
  const most = Math.max(20, ...frames.flatMap((frame) => [frame.sent_ms, frame.shown_ms]).filter(plausible));
  // as many pixels as the screen shows: scaled down to a phone's width its letters could not be read
  const [scale, width, height] = [window.devicePixelRatio || 1, canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale)) Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineWidth = 1.5;
  context.font = "13px system-ui";
  for (const share of [1, 0.5]) {
    const y = height * (1 - share * 0.9) - 2;
    context.strokeStyle = "#3a4147";
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
    context.fillStyle = "#c4c9ce";
    context.fillText(`${Math.round(most * share)} ms`, 4, y + 14);
  }
  for (const [key, color] of [["sent_ms", "#5aa9e6"], ["shown_ms", "#e6a15a"]]) {
    context.strokeStyle = color;
    context.beginPath();
    let drawing = false;
    frames.forEach((frame, i) => {
      const inside = plausible(frame[key]);
      const [x, y] = [(i / KEPT) * width, height * (1 - frame[key] / most * 0.9) - 2];
      if (inside) context[drawing ? "lineTo" : "moveTo"](x, y);
      drawing = inside;
    });
    context.stroke();
  }
  const last = frames.at(-1);
  const recent = frames.filter((frame) => frame.received_ms > performance.now() - 2000);
  $("rate").textContent = recent.length > 1 ? ((recent.length - 1) / (recent.at(-1).received_ms - recent[0].received_ms) * 1000).toFixed(1) : "0";
  $("age").textContent = last && plausible(last.shown_ms) ? `${Math.round(performance.now() - last.received_ms + last.shown_ms)} ms` : "–";
  $("dropped").textContent = dropped;
}

async function sendPhoto(file) {
  $("answer").textContent = "looking ...";
  $("photo").hidden = true;
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    $("answer").textContent = `${file.name || "that"} is not a picture that this browser reads`;
    return;
  }
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const canvas = Object.assign($("photo"), { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const jpeg = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  const response = await fetch(withToken("predict"), { method: "POST", body: jpeg, headers: { "Content-Type": "image/jpeg" } });
  if (!response.ok) {
    $("answer").textContent = await response.text();
    return;
  }
  const { faces } = await response.json();
  for (const face of faces) drawFace(context, face, false);
  $("answer").textContent = faces.length ? faces.map((face) => `a face at ${face.box.slice(0, 2).map(Math.round).join(", ")}, score ${face.score.toFixed(2)}`).join("; ") : "no face found";
  canvas.hidden = false;
}

const drop = $("drop");
drop.ondragover = (event) => (event.preventDefault(), drop.classList.add("over"));
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) sendPhoto(event.dataTransfer.files[0]);
};
$("file").onchange = (event) => event.target.files.length && sendPhoto(event.target.files[0]);
const setAll = (on) => document.querySelectorAll("#toggles input").forEach((box) => box.checked !== on && box.click());
$("all").onclick = () => setAll(true);
$("none").onclick = () => setAll(false);
setInterval(drawChart, 250);
connect();
