/** Files: safetensors, checkpoint folders, JSON, and writing that leaves either the old file or the new one, never half. */
@NullMarked
package dev.graft.io;

import org.jspecify.annotations.NullMarked;
