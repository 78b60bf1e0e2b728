package dev.graft.data.jinja;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** A macro, or the body of a call block: a callable whose value is the text that its body renders. */
final class Macro implements Callable {
    /** Deeper calls of one macro by itself are taken for a recursion without end. */
    private static final int MAX_DEPTH = 200;

    private final Parameters parameters;
    private final Statement body;
    private final Scope definition;
    private int depth;

    Macro(Parameters parameters, Statement body, Scope definition) {
        this.parameters = parameters;
        this.body = body;
        this.definition = definition;
    }

    @Override
    public Object call(Arguments arguments) {
        Scope scope = new Scope(definition);
        Object caller = arguments.named().get("caller");
        if (caller != null) {
            scope.set("caller", caller);
        }
        if (++depth > MAX_DEPTH) {
            throw new JinjaException("a macro calls itself more than " + MAX_DEPTH + " deep");
        }
        try {
            parameters.bind(arguments, scope);
            return capture(body, scope);
        } finally {
            depth--;
        }
    }

    /** What a body renders on its own. */
    static String capture(Statement body, Scope scope) {
        Output captured = new Output();
        body.execute(scope, captured);
        return captured.text();
    }

    /** The parameters of a macro: names, and the defaults of those that have one. */
    record Parameters(List<String> names, List<@Nullable Expression> defaults) {
        void bind(Callable.Arguments arguments, Scope scope) {
            if (arguments.size() > names.size()) {
                throw new JinjaException("macro takes " + names.size() + " arguments, not " + arguments.size());
            }
            for (int i = 0; i < names.size(); i++) {
                Expression ifMissing = defaults.get(i);
                String name = names.get(i);
                if (arguments.has(i, name)) {
                    scope.set(name, arguments.get(i, name, null));
                } else {
                    scope.set(name, ifMissing == null ? new Undefined(name) : ifMissing.evaluate(scope));
                }
            }
        }
    }
}
