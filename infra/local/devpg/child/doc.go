// Package child runs another program that must not outlive this one.
//
// On Linux the kernel signals the program when its parent is gone, however that happened (PR_SET_PDEATHSIG), so that not
// even kill -9 leaves it behind. "Parent" means the thread that forked, and the Go runtime ends threads when it likes;
// each program is therefore forked and awaited by a goroutine that keeps its thread until the program has ended. Other
// systems have nothing like it: there a killed parent leaves its children running.
//
// The program gets a process group of its own. Ctrl-C in a terminal then reaches this process only, which ends its
// children in the order that it needs.
package child
