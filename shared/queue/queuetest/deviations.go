package queuetest

// deviations lists, for each server, the tests that it is known to fail and why. A server that is not listed has none.
var deviations = map[string]map[string]string{
	// ElasticMQ 1.7.1.
	"elasticmq": {
		"dedup_scoped_to_the_group": "accepts DeduplicationScope=messageGroup, but deduplicates over the whole queue",
		"delete_twice":              "reports ReceiptHandleIsInvalid for a message that is gone",
	},
}
