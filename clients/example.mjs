// node example.mjs tcp://127.0.0.1:8765 [TOKEN]: prints the first point of the first face.
import { connect } from "./fkp_edge.mjs";

const [url = "tcp://127.0.0.1:8765", token] = process.argv.slice(2);
const onRetry = (reason, pauseMs) => console.error(`${reason}; again in ${pauseMs} ms`);
try {
  for await (const message of connect(url, { token, onRetry })) {
    if (message.type === "hello") console.log(`model ${message.model}, ${message.points.length} points`);
    if (message.type === "observation" && message.faces.length) {
      const [face] = message.faces;
      console.log(`face ${face.id} at (${face.points[0].join(", ")})`);
    }
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
