/**
 * The result files of {@code java/graft-benchmarks/results} as Markdown tables and plots; {@code scripts/render-results} runs
 * {@link dev.graft.benchmarks.results.RenderResults}.
 */
@NullMarked
package dev.graft.benchmarks.results;

import org.jspecify.annotations.NullMarked;
