package dev.graft.data.jinja;

/** A parsed piece of a template that writes to the output or changes variables. */
@FunctionalInterface
interface Statement {
    Flow execute(Scope scope, Output out);

    /** How to go on after a statement: {@code BREAK} and {@code CONTINUE} travel up to the loop around it. */
    enum Flow {
        NEXT,
        BREAK,
        CONTINUE
    }
}
