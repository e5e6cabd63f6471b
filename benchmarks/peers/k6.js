// One request an iteration, to URL: POST of the file BODY, or GET. With RATE, an open loop.
import http from "k6/http";

const body = __ENV.BODY ? open(__ENV.BODY, "b") : null;
const users = Number(__ENV.CONNECTIONS);
const common = { duration: __ENV.DURATION, gracefulStop: "30s" };

export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ["p(50)", "p(95)", "p(99)"],
  scenarios: {
    load: __ENV.RATE
      ? {
          ...common, executor: "constant-arrival-rate", rate: Number(__ENV.RATE), timeUnit: "1s",
          preAllocatedVUs: users, maxVUs: users,
        }
      : { ...common, executor: "constant-vus", vus: users },
  },
};

export default function () {
  if (body) http.post(__ENV.URL, body);
  else http.get(__ENV.URL);
}

export function handleSummary(data) {
  const value = (metric, name) => (data.metrics[metric] ? data.metrics[metric].values[name] : 0);
  const took = (name) => value("http_req_duration", name);
  return {
    stdout: JSON.stringify({
      requests: value("http_reqs", "count"),
      errors: value("http_req_failed", "passes"),
      dropped: value("dropped_iterations", "count"),
      p50_ms: took("p(50)"), p95_ms: took("p(95)"), p99_ms: took("p(99)"),
    }) + "\n",
  };
}
