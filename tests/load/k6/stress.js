// Where it bends: arrivals grow whether or not answers come. Fails at the rate where a threshold breaks.
import http from "k6/http";
import { check } from "k6";
import { BASE, json, minutes, summaryTrendStats as stats, thresholds as gates } from "./blog.js";

const PEAK = Number(__ENV.PEAK || "1000");

export const options = {
  summaryTrendStats: stats,
  thresholds: Object.assign({}, gates, {
    http_req_duration: [{ threshold: "p(95)<500", abortOnFail: true, delayAbortEval: "10s" }],
    http_req_failed: [{ threshold: "rate<0.01", abortOnFail: true, delayAbortEval: "10s" }],
  }),
  scenarios: {
    arrivals: {
      executor: "ramping-arrival-rate",
      startRate: PEAK / 20,
      timeUnit: "1s",
      preAllocatedVUs: 100,
      maxVUs: 500,
      stages: [
        { duration: minutes(1), target: PEAK / 4 },
        { duration: minutes(2), target: PEAK / 2 },
        { duration: minutes(2), target: PEAK },
        { duration: minutes(1), target: 0 },
      ],
    },
  },
};

export default function () {
  const list = http.get(`${BASE}/blog/api/posts?limit=20`, { tags: { name: "GET /blog/api/posts" } });
  check(list, { "the list is an array": (r) => r.status === 200 && Array.isArray(json(r)) });
}
