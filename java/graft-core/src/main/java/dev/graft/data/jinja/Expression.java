package dev.graft.data.jinja;

import org.jspecify.annotations.Nullable;

/** A parsed expression. */
@FunctionalInterface
interface Expression {
    @Nullable
    Object evaluate(Scope scope);
}
