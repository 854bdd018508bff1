// Package wire is the seam between the halves of a node's daemon as two programs: a driver that
// mounts and a fetcher that asks, on a unix socket. The driver listens and the fetcher dials; on each
// connection the driver calls, one call at a time, and whoever made the call reads its answer itself:
// a call that is answered at once is one write and one read at each end.
//
//	fetcher → driver   hello: its build, its sources
//	driver  → fetcher  welcome, or a refusal
//
//	driver  → fetcher  fetch: seam.Work
//	fetcher → driver   told, answer …: parts of what a seam.Taker is handed
//	driver  → fetcher  watch: a source
//	fetcher → driver   changed …, ended
//	driver  → fetcher  report …: what the driver did, for the fetcher to count and to write down
//	fetcher → driver   counted: it has taken in one report; what it has not, the next is told
//	fetcher → driver   ask: how the node is
//	driver  → fetcher  state: how it is
//
// Driver is a seam.Fetcher over such connections, and Server has one answer them. The driver trusts
// nothing that comes back: an answer is of the volumes of its own call, each once, of entries that
// were asked for, within the bytes that are reserved, under a file that follows from the name. A call
// ends by closing its connection.
package wire
