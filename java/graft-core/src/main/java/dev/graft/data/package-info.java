/** Training data: tokenizer, chat template, JSON lines to token rows with masked labels. */
@NullMarked
package dev.graft.data;

import org.jspecify.annotations.NullMarked;
