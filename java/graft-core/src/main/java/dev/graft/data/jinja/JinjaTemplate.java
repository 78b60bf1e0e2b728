package dev.graft.data.jinja;

import java.time.Clock;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A compiled template. Immutable: one instance may render in several threads. */
public final class JinjaTemplate {
    /** The most items that {@code range} makes, as in the sandbox of jinja2. */
    private static final long MAX_RANGE = 100_000;

    private final Statement body;
    private final boolean marksGeneration;
    private final Clock clock;

    private JinjaTemplate(Statement body, boolean marksGeneration, Clock clock) {
        this.body = body;
        this.marksGeneration = marksGeneration;
        this.clock = clock;
    }

    /** Characters {@code start} (inclusive) to {@code end} (exclusive) of a rendered text, in UTF-16 units. */
    public record Span(int start, int end) {}

    /**
     * @param text the rendered template
     * @param generated the parts that came from {@code {% generation %}} blocks, in order
     */
    public record Rendering(String text, List<Span> generated) {}

    /**
     * Parses a template.
     *
     * @param clock what {@code strftime_now} reads
     * @throws JinjaException where the template is not valid or uses a statement that chat templates cannot (include, extends…)
     */
    public static JinjaTemplate compile(String source, Clock clock) {
        Parser parser = new Parser(Lexer.tokenize(source));
        Statement body = parser.parseTemplate();
        return new JinjaTemplate(body, parser.marksGeneration(), clock);
    }

    /** Whether {@code generation} blocks say which text the model writes, so that {@link Rendering#generated} can be relied on. */
    public boolean marksGeneration() {
        return marksGeneration;
    }

    /**
     * Renders the template.
     *
     * @throws JinjaException where the template fails on these variables or refuses them
     */
    public Rendering render(Map<String, ? extends @Nullable Object> variables) {
        Scope globals = new Scope(null);
        globals.set("raise_exception", (Callable) arguments -> {
            throw JinjaException.raised(Values.text(arguments.required(0, "message")));
        });
        globals.set("strftime_now", (Callable)
                arguments -> Strftime.format(LocalDateTime.now(clock), arguments.string(0, "format")));
        globals.set("namespace", (Callable) JinjaTemplate::namespace);
        globals.set("range", (Callable) JinjaTemplate::range);
        globals.set("dict", (Callable) arguments -> new LinkedHashMap<>(arguments.named()));
        Scope scope = new Scope(globals);
        variables.forEach(scope::set);
        Output out = new Output();
        body.execute(scope, out);
        return new Rendering(out.text(), out.generated());
    }

    private static Object namespace(Callable.Arguments arguments) {
        AttributeHolder.Namespace namespace = new AttributeHolder.Namespace();
        if (arguments.get(0, "", null) instanceof Map<?, ?> initial) {
            initial.forEach((key, value) -> namespace.set(String.valueOf(key), value));
        }
        arguments.named().forEach(namespace::set);
        return namespace;
    }

    private static Object range(Callable.Arguments arguments) {
        long first = Values.integer(arguments.required(0, "stop"));
        boolean bounded = arguments.size() > 1;
        long start = bounded ? first : 0;
        long stop = bounded ? Values.integer(arguments.positional().get(1)) : first;
        long step = arguments.size() > 2 ? Values.integer(arguments.positional().get(2)) : 1;
        if (step == 0) {
            throw new JinjaException("range() with a step of 0");
        }
        long count = Math.max(0, step > 0 ? Math.ceilDiv(stop - start, step) : Math.ceilDiv(start - stop, -step));
        if (count > MAX_RANGE) {
            throw new JinjaException("range() of more than " + MAX_RANGE + " items");
        }
        List<@Nullable Object> items = new ArrayList<>((int) count);
        for (long i = 0; i < count; i++) {
            items.add(start + i * step);
        }
        return items;
    }
}
