// Package figures turns measurements into the result of a benchmark: percentiles and medians, the JSON document, the
// Markdown table, and which targets are met.
package figures
