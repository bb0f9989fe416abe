// What only time shows (leaks, pools that run dry): readers at a steady rate, a journey now and then, for two hours.
import { journey, minutes, read, summaryTrendStats as stats, thresholds as gates } from "./blog.js";

export const options = {
  summaryTrendStats: stats,
  thresholds: gates,
  scenarios: {
    readers: {
      executor: "constant-arrival-rate",
      exec: "reader",
      rate: 5,
      timeUnit: "1s",
      duration: minutes(120),
      preAllocatedVUs: 60,
      maxVUs: 200,
    },
    writers: {
      executor: "constant-arrival-rate",
      exec: "writer",
      rate: 6,
      timeUnit: "1m",
      duration: minutes(120),
      preAllocatedVUs: 5,
      maxVUs: 20,
    },
  },
};

export const reader = read;
export const writer = journey;
