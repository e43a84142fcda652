// Command bench measures rediskit beside other libraries that do the same work.
//
//	make bench                        everything
//	make bench AREA=hash RUNS=3       a part, quickly
//	make bench RTT=1ms                also as over a network
//	go -C bench run . -match='conn/GET/128/(rediskit|go-redis)$' -cpuprofile=cpu.prof
//	                                  a closer look; writes no results
//	go -C bench run . -rtt=1ms -markdown=../docs/benchmarks.md
//	                                  what renews the document
//
// It starts the servers itself, prints a table, and writes results.json. Rows of areas that were not measured
// stay in there if everything in its environment is still the same.
//
// # How it measures
//
// An area has operations; an operation is measured with 1, 16 and 128 goroutines that call without a pause.
// All subjects are set up first and each warms up for a fifth of a measurement; then there are rounds, and in
// every round each subject is measured once (1 s), in a new random order, so that whatever else the machine
// does hits all of them alike. The table has medians over the rounds; the ratio is the median of the ratios
// within each round, and says how fast the subject is, rediskit being 1.
//
// Latency is that of every call, in buckets 1.6% wide. Allocations are those of the whole process during a
// measurement divided by the calls, so background work is in them, and so is what the call's own arguments
// need. Server and clients share the machine's processors, as the row of processors in the results says.
//
// On Linux it notes during which measurements other processes, or other virtual machines, used more than a tenth
// of a processor. -retries=20 repeats those, for a machine that is not quiet but has quiet moments.
//
// -rtt puts a process between client and server that holds every byte back, half of the time each way. It is
// latency without a limit on bandwidth, but it needs processor time too, and more of it for more connections:
// beside a real network it flatters whoever has fewer.
//
// # Adding rows
//
// Write an area_NAME.go with a function that returns an area, and add it to areas. Subjects do the same work;
// the one to compare with is named "rediskit". Peers run with their defaults, and in a second row with a
// connection for every caller (withGoRedis). Most probes are made by stand.loop; work with an end of its own
// makes a probe that returns its own sample.
package main
