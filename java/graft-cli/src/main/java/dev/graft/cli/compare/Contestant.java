package dev.graft.cli.compare;

import dev.graft.lora.PeftAdapter;
import dev.graft.train.Method;
import org.jspecify.annotations.Nullable;

/**
 * A way of adapting the base that takes part in a comparison.
 *
 * @param name as the table has it
 * @param method what is trained
 * @param start the adapter that it starts from; null for a new one
 * @param learningRate of its runs
 */
record Contestant(
        String name, Method method, @Nullable PeftAdapter start, double learningRate) {
    @Nullable
    Integer rank() {
        return method instanceof Method.Lora lora ? (Integer) lora.config().rank() : null;
    }

    /** Such as {@code lora r8}. */
    String label() {
        return rank() == null ? name : name + " r" + rank();
    }
}
