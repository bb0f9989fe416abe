// From sign-up to the deleted account, all writes included; one new journey every two seconds, among readers.
import { journey, minutes, read, summaryTrendStats as stats, thresholds as gates } from "./blog.js";

export const options = {
  summaryTrendStats: stats,
  thresholds: gates,
  scenarios: {
    readers: { executor: "constant-vus", exec: "reader", vus: 10, duration: minutes(2) },
    writers: {
      executor: "constant-arrival-rate",
      exec: "writer",
      rate: 30,
      timeUnit: "1m",
      duration: minutes(2),
      preAllocatedVUs: 10,
      maxVUs: 40,
    },
  },
};

export const reader = read;
export const writer = journey;
