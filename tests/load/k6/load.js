// The ordinary day: 10, 50, then 100 readers with think time, over ten minutes.
import { minutes, read, summaryTrendStats as stats, thresholds as gates } from "./blog.js";

export const options = {
  summaryTrendStats: stats,
  thresholds: gates,
  scenarios: {
    readers: {
      executor: "ramping-vus",
      startVUs: 0,
      stages: [
        { duration: minutes(1), target: 10 },
        { duration: minutes(2), target: 10 },
        { duration: minutes(1), target: 50 },
        { duration: minutes(2), target: 50 },
        { duration: minutes(1), target: 100 },
        { duration: minutes(2), target: 100 },
        { duration: minutes(1), target: 0 },
      ],
      gracefulRampDown: "10s",
    },
  },
};

export default read;
