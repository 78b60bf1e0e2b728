package dev.graft.data.jinja;

import dev.graft.data.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Parses expressions by precedence climbing, weakest first: inline if, or, and, not, comparisons, {@code + -}, {@code ~},
 * {@code * / // %}, {@code **}, sign, then attribute, item, call, filter and test, as {@code jinja2.parser} orders them.
 */
final class ExpressionParser {
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
    private static final Set<String> AFTER_TEST = Set.of("else", "or", "and", "is", "if", "in", "not");

    private final TokenStream tokens;

    private final PrimaryParser primaries;

    ExpressionParser(TokenStream tokens) {
        this.tokens = tokens;
        primaries = new PrimaryParser(tokens, this);
    }

    /** One expression, or several with commas between them, which make a list. */
    Expression parseTuple() {
        return parseCommaSeparated(true);
    }

    /** As {@link #parseTuple} but without inline if, so that {@code for x in items if test} keeps its test. */
    Expression parseLoopItems() {
        return parseCommaSeparated(false);
    }

    private Expression parseCommaSeparated(boolean inlineIf) {
        Expression first = inlineIf ? parse() : parseOr();
        if (!tokens.peek().isOperator(",")) {
            return first;
        }
        List<Expression> items = new ArrayList<>(List.of(first));
        while (tokens.acceptOperator(",")) {
            if (endsTuple()) {
                break;
            }
            items.add(inlineIf ? parse() : parseOr());
        }
        return scope -> evaluateAll(items, scope);
    }

    private boolean endsTuple() {
        Token token = tokens.peek();
        return token.kind() == Kind.BLOCK_END || token.kind() == Kind.VARIABLE_END || token.isOperator(")");
    }

    static List<@Nullable Object> evaluateAll(List<Expression> expressions, Scope scope) {
        List<@Nullable Object> values = new ArrayList<>(expressions.size());
        expressions.forEach(expression -> values.add(expression.evaluate(scope)));
        return values;
    }

    Expression parse() {
        Expression value = parseOr();
        while (tokens.acceptName("if")) {
            Expression then = value;
            Expression test = parseOr();
            Expression otherwise = tokens.acceptName("else") ? parse() : scope -> Undefined.NO_ELSE;
            value = scope -> (Values.isTrue(test.evaluate(scope)) ? then : otherwise).evaluate(scope);
        }
        return value;
    }

    private Expression parseOr() {
        Expression value = parseAnd();
        while (tokens.acceptName("or")) {
            Expression left = value;
            Expression right = parseAnd();
            value = scope -> {
                Object first = left.evaluate(scope);
                return Values.isTrue(first) ? first : right.evaluate(scope);
            };
        }
        return value;
    }

    private Expression parseAnd() {
        Expression value = parseNot();
        while (tokens.acceptName("and")) {
            Expression left = value;
            Expression right = parseNot();
            value = scope -> {
                Object first = left.evaluate(scope);
                return Values.isTrue(first) ? right.evaluate(scope) : first;
            };
        }
        return value;
    }

    private Expression parseNot() {
        if (tokens.acceptName("not")) {
            Expression negated = parseNot();
            return scope -> !Values.isTrue(negated.evaluate(scope));
        }
        return parseComparison();
    }

    /** {@code a < b <= c} compares neighbours and is true where all are. */
    private Expression parseComparison() {
        Expression first = parseSum();
        List<String> operators = new ArrayList<>();
        List<Expression> operands = new ArrayList<>();
        for (String operator = comparison(); operator != null; operator = comparison()) {
            operators.add(operator);
            operands.add(parseSum());
        }
        if (operators.isEmpty()) {
            return first;
        }
        return scope -> {
            Object left = first.evaluate(scope);
            for (int i = 0; i < operators.size(); i++) {
                Object right = operands.get(i).evaluate(scope);
                if (!compare(operators.get(i), left, right)) {
                    return false;
                }
                left = right;
            }
            return true;
        };
    }

    private @Nullable String comparison() {
        Token token = tokens.peek();
        if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
            return tokens.next().text();
        }
        if (tokens.acceptName("in")) {
            return "in";
        }
        if (token.isName("not") && tokens.peekSecond().isName("in")) {
            tokens.next();
            tokens.next();
            return "not in";
        }
        return null;
    }

    private static boolean compare(String operator, @Nullable Object left, @Nullable Object right) {
        return switch (operator) {
            case "in" -> Values.contains(right, left);
            case "not in" -> !Values.contains(right, left);
            default -> Tests.apply(operator, left, Callable.Arguments.of(right));
        };
    }

    private Expression parseSum() {
        Expression value = parseConcatenation();
        while (tokens.peek().isOperator("+") || tokens.peek().isOperator("-")) {
            value = binary(tokens.next().text(), value, parseConcatenation());
        }
        return value;
    }

    private Expression parseConcatenation() {
        Expression value = parseProduct();
        while (tokens.acceptOperator("~")) {
            Expression left = value;
            Expression right = parseProduct();
            value = scope -> Values.text(left.evaluate(scope)) + Values.text(right.evaluate(scope));
        }
        return value;
    }

    private Expression parseProduct() {
        Expression value = parsePower();
        while (tokens.peek().kind() == Kind.OPERATOR
                && Set.of("*", "/", "//", "%").contains(tokens.peek().text())) {
            value = binary(tokens.next().text(), value, parsePower());
        }
        return value;
    }

    private Expression parsePower() {
        Expression value = parseSigned(true);
        while (tokens.acceptOperator("**")) {
            value = binary("**", value, parseSigned(true));
        }
        return value;
    }

    private static Expression binary(String operator, Expression left, Expression right) {
        return scope -> Arithmetic.apply(operator, left.evaluate(scope), right.evaluate(scope));
    }

    private Expression parseSigned(boolean withFilters) {
        Expression value;
        if (tokens.acceptOperator("-")) {
            Expression operand = parseSigned(false);
            value = scope -> Arithmetic.negate(operand.evaluate(scope));
        } else if (tokens.acceptOperator("+")) {
            Expression operand = parseSigned(false);
            value = scope -> Arithmetic.plus(operand.evaluate(scope));
        } else {
            value = primaries.parse();
        }
        value = parsePostfix(value);
        return withFilters ? parseFiltersAndTests(value) : value;
    }

    private Expression parsePostfix(Expression start) {
        Expression value = start;
        while (true) {
            Expression object = value;
            if (tokens.acceptOperator(".")) {
                Token token = tokens.next();
                if (token.kind() == Kind.NAME) {
                    value = scope -> Access.attribute(object.evaluate(scope), token.text());
                } else if (token.kind() == Kind.INTEGER) {
                    Long index = PrimaryParser.parseLong(token);
                    value = scope -> Access.item(object.evaluate(scope), index);
                } else {
                    throw JinjaException.at(token.line(), "expected a name or number after '.', found " + token);
                }
            } else if (tokens.acceptOperator("[")) {
                value = parseSubscript(object);
            } else if (tokens.peek().isOperator("(")) {
                value = parseCall(object);
            } else {
                return value;
            }
        }
    }

    private Expression parseSubscript(Expression object) {
        @Nullable Expression[] bounds = new @Nullable Expression[3];
        int colons = 0;
        while (!tokens.acceptOperator("]")) {
            if (tokens.acceptOperator(":")) {
                if (++colons > 2) {
                    throw tokens.unexpected("']'");
                }
            } else if (bounds[colons] == null) {
                bounds[colons] = parse();
            } else {
                throw tokens.unexpected("']'");
            }
        }
        Expression first = bounds[0];
        if (colons == 0) {
            if (first == null) {
                throw tokens.unexpected("a subscript");
            }
            return scope -> Access.item(object.evaluate(scope), first.evaluate(scope));
        }
        Expression start = orNone(first);
        Expression stop = orNone(bounds[1]);
        Expression step = orNone(bounds[2]);
        return scope ->
                Access.slice(object.evaluate(scope), start.evaluate(scope), stop.evaluate(scope), step.evaluate(scope));
    }

    private static Expression orNone(@Nullable Expression expression) {
        return expression == null ? scope -> null : expression;
    }

    private Expression parseCall(Expression function) {
        ArgumentList arguments = parseArguments();
        return scope -> switch (function.evaluate(scope)) {
            case Callable callable -> callable.call(arguments.evaluate(scope));
            case Undefined undefined -> throw undefined.error();
            case Object other -> throw new JinjaException("a " + Values.typeName(other) + " cannot be called");
            case null -> throw new JinjaException("none cannot be called");
        };
    }

    /** The arguments of a call as written. */
    record ArgumentList(List<Expression> positional, Map<String, Expression> named) {
        static final ArgumentList NONE = new ArgumentList(List.of(), Map.of());

        Callable.Arguments evaluate(Scope scope) {
            Map<String, @Nullable Object> values = new LinkedHashMap<>();
            named.forEach((name, expression) -> values.put(name, expression.evaluate(scope)));
            return new Callable.Arguments(evaluateAll(positional, scope), values);
        }
    }

    ArgumentList parseArguments() {
        tokens.expectOperator("(");
        List<Expression> positional = new ArrayList<>();
        Map<String, Expression> named = new LinkedHashMap<>();
        while (!tokens.acceptOperator(")")) {
            if (tokens.peek().kind() == Kind.NAME && tokens.peekSecond().isOperator("=")) {
                String name = tokens.next().text();
                tokens.next();
                named.put(name, parse());
            } else {
                positional.add(parse());
            }
            if (!tokens.peek().isOperator(")")) {
                tokens.expectOperator(",");
            }
        }
        return new ArgumentList(positional, named);
    }

    private Expression parseFiltersAndTests(Expression start) {
        Expression value = start;
        while (true) {
            if (tokens.acceptOperator("|")) {
                value = parseFilter(value);
            } else if (tokens.acceptName("is")) {
                value = parseTest(value);
            } else if (tokens.peek().isOperator("(")) {
                value = parseCall(value);
            } else {
                return value;
            }
        }
    }

    /** A filter's name and arguments, applied to {@code value}; the {@code |} has been read. */
    Expression parseFilter(Expression value) {
        String name = tokens.expectIdentifier();
        ArgumentList arguments = tokens.peek().isOperator("(") ? parseArguments() : ArgumentList.NONE;
        return scope -> Filters.apply(name, value.evaluate(scope), arguments.evaluate(scope));
    }

    private Expression parseTest(Expression value) {
        boolean negated = tokens.acceptName("not");
        String name = tokens.expectIdentifier();
        ArgumentList arguments = parseTestArguments();
        return scope -> negated != Tests.apply(name, value.evaluate(scope), arguments.evaluate(scope));
    }

    /** In brackets, or one operand without: {@code is divisibleby 3}. */
    private ArgumentList parseTestArguments() {
        Token token = tokens.peek();
        if (token.isOperator("(")) {
            return parseArguments();
        }
        boolean operand = switch (token.kind()) {
            case NAME -> !AFTER_TEST.contains(token.text());
            case STRING, INTEGER, FLOAT -> true;
            case OPERATOR -> token.text().equals("[") || token.text().equals("{");
            default -> false;
        };
        return operand ? new ArgumentList(List.of(parsePostfix(primaries.parse())), Map.of()) : ArgumentList.NONE;
    }
}
