// Does it work at all: one reader, one journey.
import { journey, read, summaryTrendStats as stats, thresholds as gates } from "./blog.js";

export const options = {
  summaryTrendStats: stats,
  thresholds: gates,
  scenarios: {
    reader: { executor: "per-vu-iterations", exec: "reader", vus: 1, iterations: 3, maxDuration: "1m" },
    writer: { executor: "per-vu-iterations", exec: "writer", vus: 1, iterations: 1, maxDuration: "1m" },
  },
};

export const reader = read;
export const writer = journey;
