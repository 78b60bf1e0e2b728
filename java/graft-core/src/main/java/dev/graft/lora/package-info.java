/** Low-rank adaptation: configuration, which modules are adapted, the adapter itself, its PEFT files, merging. */
@NullMarked
package dev.graft.lora;

import org.jspecify.annotations.NullMarked;
