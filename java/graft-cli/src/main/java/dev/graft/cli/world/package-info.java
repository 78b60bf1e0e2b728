/**
 * The small invented world behind {@code graft quickstart}: a seeded grammar of facts and English sentences, the corpus
 * on which the embedded base model is pre-trained, the task that the quickstart teaches it, and its tokenizer.
 */
@NullMarked
package dev.graft.cli.world;

import org.jspecify.annotations.NullMarked;
