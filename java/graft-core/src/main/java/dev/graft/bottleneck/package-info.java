/** Bottleneck adapter modules: configuration, the modules themselves, their files in the naming of AdapterHub's {@code adapters}. */
@NullMarked
package dev.graft.bottleneck;

import org.jspecify.annotations.NullMarked;
