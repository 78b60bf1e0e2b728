/**
 * The part of the Jinja template language that Hugging Face chat templates use, with Python's semantics: rendering equals that of
 * {@code jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)} with loop controls and the
 * {@code generation} block, as transformers sets it up. Values are {@code String}, {@code Long} (any {@code Number} is taken),
 * {@code Double}, {@code Boolean}, {@code null} for None, {@code List}
 * (tuples too, so they print as lists) and {@code Map}.
 */
@NullMarked
package dev.graft.data.jinja;

import org.jspecify.annotations.NullMarked;
