package dev.graft.data.jinja;

import dev.graft.data.jinja.Statement.Flow;
import dev.graft.data.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Parses a template's statements; expressions are left to {@link ExpressionParser}. */
final class Parser {
    private final TokenStream tokens;
    private final ExpressionParser expressions;
    private int loops;
    /** How many macros, set, call and filter blocks are open, whose text does not go to the output as it is written. */
    private int captures;

    private boolean generationAtTop;
    private boolean generationCaptured;

    Parser(List<Token> tokens) {
        this.tokens = new TokenStream(tokens);
        expressions = new ExpressionParser(this.tokens);
    }

    /** Whether all generation blocks, and at least one, stand where their place in the output is known. */
    boolean marksGeneration() {
        return generationAtTop && !generationCaptured;
    }

    Statement parseTemplate() {
        Statement body = parseBody(Set.of());
        if (tokens.peek().kind() != Kind.END) {
            throw tokens.unexpected("the end of the template");
        }
        return body;
    }

    /** Statements up to a block whose name is one of {@code ends}; its opening tag has been read then, its name has not. */
    private Statement parseBody(Set<String> ends) {
        List<Statement> statements = new ArrayList<>();
        while (tokens.peek().kind() != Kind.END) {
            Token token = tokens.next();
            switch (token.kind()) {
                case DATA -> {
                    String data = token.text();
                    statements.add((scope, out) -> {
                        out.append(data);
                        return Flow.NEXT;
                    });
                }
                case VARIABLE_BEGIN -> {
                    Expression value = expressions.parseTuple();
                    tokens.expect(Kind.VARIABLE_END, "'}}'");
                    statements.add(located(token.line(), (scope, out) -> {
                        out.append(Values.text(value.evaluate(scope)));
                        return Flow.NEXT;
                    }));
                }
                case BLOCK_BEGIN -> {
                    if (tokens.peek().kind() == Kind.NAME
                            && ends.contains(tokens.peek().text())) {
                        return sequence(statements);
                    }
                    statements.add(located(token.line(), parseStatement()));
                }
                default -> throw JinjaException.at(token.line(), "unexpected " + token);
            }
        }
        if (!ends.isEmpty()) {
            throw tokens.unexpected("a block " + String.join(" or ", new TreeSet<>(ends)));
        }
        return sequence(statements);
    }

    private static Statement sequence(List<Statement> statements) {
        Statement[] all = statements.toArray(Statement[]::new);
        return (scope, out) -> {
            for (Statement statement : all) {
                Flow flow = statement.execute(scope, out);
                if (flow != Flow.NEXT) {
                    return flow;
                }
            }
            return Flow.NEXT;
        };
    }

    private static Statement located(int line, Statement statement) {
        return (scope, out) -> {
            try {
                return statement.execute(scope, out);
            } catch (JinjaException e) {
                throw e.locatedAt(line);
            }
        };
    }

    private Statement parseStatement() {
        String name = tokens.expectIdentifier();
        Statement statement = switch (name) {
            case "if" -> parseIf();
            case "for" -> parseFor();
            case "set" -> parseSet();
            case "macro" -> parseMacro();
            case "call" -> parseCallBlock();
            case "filter" -> parseFilterBlock();
            case "with" -> parseWith();
            case "generation" -> parseGeneration();
            case "break" -> parseJump(Flow.BREAK);
            case "continue" -> parseJump(Flow.CONTINUE);
            default ->
                throw JinjaException.at(tokens.peek().line(), "statement '" + name + "' is not one of chat templates");
        };
        tokens.expect(Kind.BLOCK_END, "'%}'");
        return statement;
    }

    private void endTag() {
        tokens.expect(Kind.BLOCK_END, "'%}'");
    }

    private Statement parseJump(Flow flow) {
        if (loops == 0) {
            throw tokens.unexpected("a loop around 'break' or 'continue'");
        }
        return (scope, out) -> flow;
    }

    private Statement parseIf() {
        Expression test = expressions.parseTuple();
        endTag();
        Statement then = parseBody(Set.of("elif", "else", "endif"));
        Statement otherwise = switch (tokens.next().text()) {
            case "elif" -> parseIf();
            case "else" -> {
                endTag();
                Statement body = parseBody(Set.of("endif"));
                tokens.next();
                yield body;
            }
            default -> (scope, out) -> Flow.NEXT;
        };
        return (scope, out) -> (Values.isTrue(test.evaluate(scope)) ? then : otherwise).execute(scope, out);
    }

    private Statement parseFor() {
        Target target = parseTarget(false);
        tokens.expectName("in");
        Expression items = expressions.parseLoopItems();
        Expression test = tokens.acceptName("if") ? expressions.parse() : null;
        endTag();
        loops++;
        Statement body = parseBody(Set.of("else", "endfor"));
        loops--;
        Statement otherwise = (scope, out) -> Flow.NEXT;
        if (tokens.next().isName("else")) {
            endTag();
            otherwise = parseBody(Set.of("endfor"));
            tokens.next();
        }
        Statement whenEmpty = otherwise;
        return (scope, out) -> {
            List<@Nullable Object> visited = matching(target, items.evaluate(scope), test, scope);
            if (visited.isEmpty()) {
                return whenEmpty.execute(new Scope(scope), out);
            }
            runLoop(target, visited, body, scope, out);
            return Flow.NEXT;
        };
    }

    private static List<@Nullable Object> matching(
            Target target, @Nullable Object items, @Nullable Expression test, Scope scope) {
        List<@Nullable Object> all = Values.items(items);
        if (test == null) {
            return all;
        }
        List<@Nullable Object> kept = new ArrayList<>();
        for (Object item : all) {
            Scope inner = new Scope(scope);
            target.assign(inner, item);
            if (Values.isTrue(test.evaluate(inner))) {
                kept.add(item);
            }
        }
        return kept;
    }

    private static void runLoop(Target target, List<@Nullable Object> items, Statement body, Scope scope, Output out) {
        for (int i = 0; i < items.size(); i++) {
            Scope inner = new Scope(scope);
            inner.set("loop", new AttributeHolder.Loop(items, i));
            target.assign(inner, items.get(i));
            if (body.execute(inner, out) == Flow.BREAK) {
                return;
            }
        }
    }

    /** Where a value is stored: names that it is taken apart into, or an attribute of a namespace. */
    @FunctionalInterface
    private interface Target {
        void assign(Scope scope, @Nullable Object value);
    }

    private Target parseTarget(boolean attributeAllowed) {
        List<Target> parts = new ArrayList<>();
        boolean tuple = false;
        do {
            if (tokens.acceptOperator("(")) {
                parts.add(parseTarget(false));
                tokens.expectOperator(")");
            } else {
                String name = tokens.expectIdentifier();
                if (attributeAllowed && tokens.acceptOperator(".")) {
                    String attribute = tokens.expectIdentifier();
                    parts.add((scope, value) -> namespace(scope, name).set(attribute, value));
                } else {
                    parts.add((scope, value) -> scope.set(name, value));
                }
            }
            tuple |= tokens.peek().isOperator(",");
        } while (tokens.acceptOperator(","));
        return tuple ? (scope, value) -> unpack(parts, scope, value) : parts.getFirst();
    }

    private static AttributeHolder.Namespace namespace(Scope scope, String name) {
        if (scope.get(name) instanceof AttributeHolder.Namespace namespace) {
            return namespace;
        }
        throw new JinjaException("cannot assign an attribute of '" + name + "': it is not a namespace");
    }

    private static void unpack(List<Target> parts, Scope scope, @Nullable Object value) {
        List<@Nullable Object> values = Values.items(value);
        if (values.size() != parts.size()) {
            throw new JinjaException("cannot unpack " + values.size() + " values into " + parts.size());
        }
        for (int i = 0; i < parts.size(); i++) {
            parts.get(i).assign(scope, values.get(i));
        }
    }

    private Statement parseSet() {
        Target target = parseTarget(true);
        if (tokens.acceptOperator("=")) {
            Expression value = expressions.parseTuple();
            return (scope, out) -> {
                target.assign(scope, value.evaluate(scope));
                return Flow.NEXT;
            };
        }
        UnaryFilters filters = parseFilterChain();
        endTag();
        Statement body = parseCaptured("endset");
        return (scope, out) -> {
            target.assign(scope, filters.apply(scope, Macro.capture(body, new Scope(scope))));
            return Flow.NEXT;
        };
    }

    /** Filters written after a block's name, applied to the block's text. */
    @FunctionalInterface
    private interface UnaryFilters {
        @Nullable
        Object apply(Scope scope, String text);
    }

    private UnaryFilters parseFilterChain() {
        UnaryFilters chain = (scope, text) -> text;
        while (tokens.acceptOperator("|")) {
            chain = then(chain);
        }
        return chain;
    }

    private UnaryFilters then(UnaryFilters before) {
        // the text reaches the parsed filter as a variable that no template can name
        Expression filter = expressions.parseFilter(scope -> scope.get("|"));
        return (scope, text) -> {
            Scope inner = new Scope(scope);
            inner.set("|", before.apply(scope, text));
            return filter.evaluate(inner);
        };
    }

    private Statement parseFilterBlock() {
        UnaryFilters chain = then((scope, text) -> text);
        while (tokens.acceptOperator("|")) {
            chain = then(chain);
        }
        UnaryFilters filters = chain;
        endTag();
        Statement body = parseCaptured("endfilter");
        return (scope, out) -> {
            out.append(Values.text(filters.apply(scope, Macro.capture(body, new Scope(scope)))));
            return Flow.NEXT;
        };
    }

    /** A body that is rendered on its own and whose end tag's name has been read. */
    private Statement parseCaptured(String end) {
        captures++;
        int outerLoops = loops;
        loops = 0;
        Statement body = parseBody(Set.of(end));
        tokens.next();
        loops = outerLoops;
        captures--;
        return body;
    }

    private Statement parseWith() {
        List<Target> targets = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (tokens.peek().kind() != Kind.BLOCK_END) {
            if (!targets.isEmpty()) {
                tokens.expectOperator(",");
            }
            String name = tokens.expectIdentifier();
            targets.add((scope, value) -> scope.set(name, value));
            tokens.expectOperator("=");
            values.add(expressions.parse());
        }
        endTag();
        Statement body = parseBody(Set.of("endwith"));
        tokens.next();
        return (scope, out) -> {
            Scope inner = new Scope(scope);
            for (int i = 0; i < targets.size(); i++) {
                targets.get(i).assign(inner, values.get(i).evaluate(scope));
            }
            return body.execute(inner, out);
        };
    }

    private Statement parseGeneration() {
        endTag();
        if (captures == 0) {
            generationAtTop = true;
        } else {
            generationCaptured = true;
        }
        int outerLoops = loops;
        loops = 0;
        Statement body = parseBody(Set.of("endgeneration"));
        tokens.next();
        loops = outerLoops;
        return (scope, out) -> {
            int start = out.length();
            body.execute(new Scope(scope), out);
            out.markGenerated(start);
            return Flow.NEXT;
        };
    }

    private Macro.Parameters parseParameters() {
        Macro.Parameters parameters = new Macro.Parameters(new ArrayList<>(), new ArrayList<>());
        tokens.expectOperator("(");
        while (!tokens.acceptOperator(")")) {
            parameters.names().add(tokens.expectIdentifier());
            parameters.defaults().add(tokens.acceptOperator("=") ? expressions.parse() : null);
            if (!tokens.peek().isOperator(")")) {
                tokens.expectOperator(",");
            }
        }
        return parameters;
    }

    private Statement parseMacro() {
        String name = tokens.expectIdentifier();
        Macro.Parameters parameters = parseParameters();
        endTag();
        Statement body = parseCaptured("endmacro");
        return (scope, out) -> {
            scope.set(name, new Macro(parameters, body, scope));
            return Flow.NEXT;
        };
    }

    private Statement parseCallBlock() {
        Macro.Parameters parameters =
                tokens.peek().isOperator("(") ? parseParameters() : new Macro.Parameters(List.of(), List.of());
        String macro = tokens.expectIdentifier();
        ExpressionParser.ArgumentList arguments = expressions.parseArguments();
        endTag();
        Statement body = parseCaptured("endcall");
        return (scope, out) -> {
            if (!(scope.get(macro) instanceof Callable callable)) {
                throw new JinjaException("'" + macro + "' is not a macro");
            }
            Callable.Arguments evaluated = arguments.evaluate(scope);
            Map<String, @Nullable Object> named = new LinkedHashMap<>(evaluated.named());
            named.put("caller", new Macro(parameters, body, scope));
            out.append(Values.text(callable.call(new Callable.Arguments(evaluated.positional(), named))));
            return Flow.NEXT;
        };
    }
}
