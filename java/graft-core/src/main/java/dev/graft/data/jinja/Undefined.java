package dev.graft.data.jinja;

/** A name or attribute that does not exist: prints as nothing, is false, iterates as empty, and fails in any other use. */
record Undefined(String name) {
    /** What an inline {@code if} without {@code else} yields. */
    static final Undefined NO_ELSE = new Undefined("the inline if-expression without else");

    JinjaException error() {
        return new JinjaException("'" + name + "' is undefined");
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Undefined;
    }

    @Override
    public int hashCode() {
        return 0;
    }
}
