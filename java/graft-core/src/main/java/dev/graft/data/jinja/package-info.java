/**
 * The part of the Jinja template language that Hugging Face chat templates use, with Python's semantics: rendering equals that of
 * {@code jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)} with loop controls and the
 * {@code generation} block, as transformers sets it up. Values are {@code String}, {@code Long} (any {@code Number} is taken),
 * {@code Double}, {@code Boolean}, {@code null} for None, {@code List}
 * (tuples too, so they print as lists) and {@code Map}.
 *
 * <p>Written here because jinjava, the Jinja library of Maven Central, cannot render the templates of Qwen 3 and others:
 * it has no {@code messages[::-1]} and no {@code startswith}, prints {@code true} for {@code True}, and writes JSON without spaces.
 */
@NullMarked
package dev.graft.data.jinja;

import org.jspecify.annotations.NullMarked;
