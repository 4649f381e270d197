// Stays until its control pipe ends or it is told to stop.
process.on("SIGTERM", () => process.exit(0));
process.stdin.on("end", () => process.exit(0)).resume();
setInterval(() => {}, 1000);
