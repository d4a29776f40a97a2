package queue

// Local is implemented by a queue that is tables of the service's own database. What is in that database is where hosts
// read it already, so that nothing has to be handed over through the queue.
type Local interface{ Local() }

// IsLocal says whether a queue, or the sending side of one, is Local.
func IsLocal(q any) bool {
	_, local := q.(Local)
	return local
}
